"""Other words for the names in a schema, so that a model learns to read names instead of memorising them.

Hand-written. A line of `_GROUPS` holds names for one thing: any of them may stand for any other.
"""

from __future__ import annotations

import re

_GROUPS = """
人物 人名 姓名 人 人物名称 人物姓名
组织机构 机构 机构名称 组织机构名 机构名
组织 社会组织 团体 组织名称 团体组织
地理位置 地点 地名 位置 地区 地点名称
时间 日期 时间日期 发生时间
公司 企业 公司名称 企业名称 公司企业
政府 政府机构 政府部门 行政机关
游戏 游戏名称 游戏名 电子游戏
景点 旅游景点 景区 名胜 景点名称
书名 书籍名称 作品书名 图书名称
书籍 图书 书本
电影 影片 电影名 电影名称
职位 职务 职称 岗位 头衔 职业头衔
地址 住址 详细地址 地址信息
影视 影视作品 影视名 影视名称
歌曲 歌名 歌曲名 歌曲名称
音乐 乐曲 音乐作品
学历 学位 教育程度 文化程度
专业 所学专业 学科专业
国籍 所属国家 公民身份
民族 所属民族 族别
籍贯 祖籍 出生地 老家
疾病 疾病名称 病名 病症
症状 临床症状 症状表现
临床表现 临床症状表现 疾病表现
药物 药品 用药 药物名称 药品名称
医疗设备 医疗器械 医学设备
医疗程序 医疗操作 医疗手段 诊疗程序
医学检验项目 检验项目 化验项目
身体 身体部位 人体部位 解剖部位
科室 医院科室 就诊科室 医疗科室
微生物类 微生物 病原体
检查 检查项目 医学检查
手术治疗 手术 手术方式 外科治疗
其他治疗 其他疗法 别的治疗方式
药物治疗 用药治疗 治疗药物
辅助治疗 辅助疗法 配合治疗
同义词 别名 又称 别称
病因 致病原因 发病原因 起因
病理分型 病理类型 病理分类
并发症 并发疾病 合并症
实验室检查 实验室检验 化验检查
影像学检查 影像检查 影像检验
辅助检查 其他检查手段
发病部位 患病部位 病变部位
多发群体 易感人群 高发人群 好发人群
鉴别诊断 鉴别疾病 需鉴别的疾病
高危因素 危险因素 风险因素
发病率 患病率 发生率
组织学检查 组织检查
病史 既往病史 既往史
预后状况 预后 预后情况
预防 预防措施 预防方法
发病年龄 患病年龄 好发年龄
传播途径 传染途径 传播方式
遗传因素 遗传原因 遗传背景
中药功效 功效 药效 功能主治
人群 适用人群 人群类别
证候 中医证候 证型
药物性味 性味 药性
药物剂型 剂型 药品剂型
药物成分 成分 药品成分 有效成分
食物 食品 食材名
食物分组 食物类别 食品种类
疾病分组 疾病类别 疾病种类
药品分组 药品类别 药品种类
菜名 菜品 菜肴 菜肴名称
食材 原料 配料
歌手 演唱者 歌手名
作者 作者名 写作者 撰写人
朝代 年代朝代 所属朝代
餐馆 餐厅 饭店 饭馆
酒店 宾馆 旅馆
酒店名称 宾馆名称 酒店名
评分 打分 分数
人均消费 人均价格 人均花费
门票 票价 门票价格
电话 电话号码 联系电话
出发地 起点 始发地
目的地 终点 到达地
频道 电视频道 电视台
关键词 关键字 搜索词
内容 信息内容 正文内容
收件人 接收人 收信人
触发词 事件词 事件触发词
地震 发生地震 地震灾害
质押 股权质押 股份质押
股份股权转让 股权转让 股份转让
减持 减持股份 股东减持
增持 增持股份 股东增持
起诉 提起诉讼 诉讼 打官司
投资 对外投资 出资
收购 并购 企业收购
融资 获得融资 筹资
上市 挂牌上市 公司上市
发布 产品发布 推出
召回 产品召回 召回产品
获奖 得奖 获得奖项
道歉 致歉 公开道歉
会见 会面 会晤
夺冠 获得冠军 赢得冠军
胜负 比赛胜负 输赢 比赛结果
晋级 晋级比赛 赛事晋级
退役 运动员退役 宣布退役
结婚 成婚 登记结婚
离婚 离异 解除婚姻
死亡 去世 身亡 逝世
求婚 向人求婚
怀孕 有孕 怀上孩子
罚款 处以罚款 被罚款
拘捕 逮捕 抓捕
举报 检举 揭发
立案 立案调查
约谈 被约谈 约见谈话
爆炸 发生爆炸 爆炸事故
车祸 交通事故 撞车事故
起火 火灾 失火 着火
袭击 遭袭 袭击事件
裁员 裁减人员 裁人
辞职 离职 辞去职务
解雇 开除 辞退
加盟 加入组织 加入
罢工 罢工行动 工人罢工
开幕 开幕式 活动开幕
闭幕 闭幕式 活动闭幕
死亡人数 死者人数 遇难人数
受伤人数 伤者人数 伤员人数
融资金额 融资数额 筹资金额
融资方 融资企业 获得融资的一方
领投方 领投机构 主要投资方
跟投方 跟投机构
收购方 买方 收购者
出售方 卖方 出售者
交易物 交易标的 标的物
出售价格 交易价格 售价
发布方 发布者 发布机构
发布产品 产品名称 所发布的产品
获奖人 得奖者 获奖者
奖项 奖项名称 所获奖项
胜者 获胜方 赢家
败者 失败方 输家 落败方
赛事名称 比赛名称 赛事
冠军 冠军得主 第一名
原告 起诉方 原告方
被告 被告方 被起诉方
刑期 判刑时长 服刑期限
死者 遇难者 死亡者
死者年龄 遇难者年龄
离职者 辞职者 离职人员
裁员方 裁员企业
裁员人数 被裁人数
所属组织 所在单位 所属单位
原所属组织 原单位 原所在单位
活动名称 活动 活动名
震级 地震级别 地震震级
震中 震中位置 地震中心
罚款金额 罚款数额 罚金
执法机构 执法部门 处罚机构
袭击者 行凶者 袭击方
袭击对象 遇袭者 被袭击者
质押方 出质人
质押物 质押标的
质权方 质权人
数量 数目 股数
金额 钱款 款项金额
比例 占比 所占比例 百分比
目标公司 标的公司 被投资公司
配偶 夫妻 妻子或丈夫 伴侣
子女 孩子 儿女
父母 双亲 父亲或母亲
亲属 家人 家庭成员 亲戚
创始人 创办人 创立者 创建者
总部地点 总部所在地 总部 总部位置
出生日期 生日 出生时间
毕业院校 毕业学校 母校
位于 坐落于 地处 所在地
包含 组成部分 部分整体
拥有 所有 归其所有
使用 用于 利用
制造 创造 产生
合作 合作关系 业务合作
竞争 竞争关系 同业竞争
持股 持有股份 参股
合资 合资经营 共同出资
合并 企业合并 重组合并
重组 资产重组 企业重组
签约 签订合同 签署协议
纠纷 争议 矛盾纠纷
入股 参股入股 股权入股
注资 注入资金 增资
交易 买卖 买卖交易
转让 出让 让与
发行 发行股票 发行证券
帮助 援助 协助
欠款 拖欠款项 债务
成立 创建 设立
实体 对象 事物名称
属性词 方面 方面词 评价对象 属性
情感词 观点词 评价词 意见词
正向情感 正面 积极 好评 褒义 正面情感 积极情绪 满意
负向情感 负面 消极 差评 贬义 负面情感 消极情绪 不满意
中性情感 中性 中立情感 无明显情感 一般评价
财经 金融 经济 财经新闻
房产 房地产 楼市
股票 证券 股市 炒股
教育 教育培训 教育新闻 学校教育
科技 科学技术 数码科技 科技新闻
社会 社会新闻 民生社会
政治 时政 政治新闻 时政要闻
体育 体育运动 体育新闻 体坛
娱乐 文娱 娱乐新闻 明星娱乐
电竞 游戏电竞 游戏新闻
汽车 车辆 汽车新闻 汽车资讯
旅游 旅行 旅游出行 旅游资讯
国际 国际新闻 世界新闻 海外
农业 三农 农业新闻 农村农业
军事 军事新闻 国防军事 军情
文化 人文 文化新闻 文化艺术
故事 民间故事 小故事
生气 愤怒 气愤 恼火
高兴 开心 快乐 喜悦
悲伤 难过 伤心 哀伤
害怕 恐惧 担心害怕
惊讶 惊奇 吃惊
无情绪 没有情绪 平静 情绪中性
动力 发动机动力 动力性能
价格 价钱 售价高低 价位
油耗 耗油 燃油消耗
操控 操控性 驾驶操控
舒适性 舒适度 乘坐舒适
配置 车辆配置 配置水平
安全性 安全 安全性能
内饰 车内装饰 内部装饰
外观 外形 样子 外表
空间 车内空间 空间大小
物流 快递 配送 发货速度
服务 服务态度 售后服务 客服
包装 外包装 包装情况
功效评价 使用效果 效果
气味 味道 香味
真伪 是否正品 真假
新鲜度 新鲜程度 保质期
使用体验 使用感受 体验
成分评价 产品成分
整体 总体评价 整体评价
计算机 电脑 计算机产品
平板 平板电脑
水果 鲜果 水果生鲜
衣服 服装 服饰
洗发水 洗发露 洗发用品
热水器 热水设备
书籍评论 图书评论
酒店评论 住宿评论
"""

LABEL_SETS: tuple[tuple[tuple[str, ...], ...], ...] = (
    (
        ("正向情感", "负向情感"),
        ("正面", "负面"),
        ("好评", "差评"),
        ("积极", "消极"),
        ("褒义", "贬义"),
        ("满意", "不满意"),
        ("情感倾向：正面", "情感倾向：负面"),
        ("喜欢", "不喜欢"),
        ("推荐", "不推荐"),
        ("正面评价", "负面评价"),
    ),
    (
        ("段落2和段落1的关系是：蕴含", "段落2和段落1的关系是：矛盾", "段落2和段落1的关系是：中立"),
        ("段落1能推出段落2", "段落1与段落2矛盾", "段落1与段落2无法判断"),
        ("蕴含", "矛盾", "中立"),
        ("两段话的关系：蕴含", "两段话的关系：矛盾", "两段话的关系：无关"),
        ("由段落1可知段落2为真", "由段落1可知段落2为假", "由段落1不知段落2真假"),
    ),
    (
        ("文本匹配：相似", "文本匹配：不相似"),
        ("意思相同", "意思不同"),
        ("语义相似", "语义不相似"),
        ("两句话是同一个意思", "两句话不是同一个意思"),
        ("相似", "不相似"),
        ("是同一个问题", "不是同一个问题"),
    ),
)
"""Label sets that belong together: all labels of a schema change to one other wording, in the same order."""

CODES = {
    "人物": ("PER", "PERSON"),
    "姓名": ("NAME", "PER"),
    "地理位置": ("LOC", "LOCATION"),
    "组织机构": ("ORG",),
    "组织": ("ORG",),
    "公司": ("COMPANY",),
    "政府": ("GOV",),
    "时间": ("TIME", "DATE"),
    "职位": ("TITLE", "POSITION"),
    "地址": ("ADDRESS",),
    "书名": ("BOOK",),
    "电影": ("MOVIE",),
    "游戏": ("GAME",),
    "景点": ("SCENE",),
    "疾病": ("DISEASE",),
    "症状": ("SYMPTOM",),
    "药物": ("DRUG",),
    "属性词": ("ASPECT",),
    "情感词": ("OPINION",),
    "正向情感": ("POSITIVE", "POS"),
    "负向情感": ("NEGATIVE", "NEG"),
    "中性情感": ("NEUTRAL",),
    "财经": ("FINANCE",),
    "体育": ("SPORTS",),
    "娱乐": ("ENTERTAINMENT",),
    "科技": ("TECH",),
    "教育": ("EDUCATION",),
}

_FINANCE_EVENTS = ("质押(事件触发词)", "股份股权转让(事件触发词)", "减持(事件触发词)")
_MEDICAL = ("医学检验项目", "药物剂型", "证候", "病理分型", "微生物类")
_LEISURE = ("游戏", "电影", "歌手", "菜名", "景点", "酒店", "门票")
_DISASTERS = ("地震(事件触发词)", "夺冠(事件触发词)", "结婚(事件触发词)")
FOREIGN: dict[str, tuple[str, ...]] = {
    "msra": _MEDICAL + ("菜名", "学历"),
    "peoples_daily_1998": _MEDICAL + ("菜名", "游戏"),
    "cluener": _MEDICAL + ("民族", "籍贯"),
    "resume": _MEDICAL + _FINANCE_EVENTS + ("菜名", "歌手", "门票"),
    "cmeee": _LEISURE + _FINANCE_EVENTS + ("职位", "民族", "学历", "政府"),
    "cmeie": _LEISURE + _FINANCE_EVENTS + ("职位", "民族", "学历", "政府"),
    "tcm_leaflets": _LEISURE + _FINANCE_EVENTS + ("职位", "民族", "学历", "政府"),
    "video_music_book": _MEDICAL + _FINANCE_EVENTS + ("学历", "民族"),
    "crosswoz": _MEDICAL + _FINANCE_EVENTS + ("学历", "民族", "书名"),
    "smp2019": _FINANCE_EVENTS + ("学历", "民族", "证候"),
    "finre": _MEDICAL + ("歌手", "菜名"),
    "fewfc": _MEDICAL + ("歌手", "菜名") + _DISASTERS,
    "duee": _MEDICAL + ("质押(事件触发词)", "学历"),
    "zhang_aste": _FINANCE_EVENTS + _MEDICAL + _DISASTERS,
    "gdcq": _FINANCE_EVENTS + _MEDICAL + _DISASTERS,
    "diaasq": _FINANCE_EVENTS + _MEDICAL + _DISASTERS,
    "bdci_car": _FINANCE_EVENTS + _MEDICAL + _DISASTERS,
}
"""Types that can be asked of a set's texts without a right answer going unlabelled, by set; checked by hand."""

_BRACKETED = re.compile(r"(.+?)\(([^()]+)\)")


def _index() -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for line in _GROUPS.strip().splitlines():
        names = line.split()
        for name in names:
            found[name] = tuple(other for other in names if other != name)
    return found


SYNONYMS: dict[str, tuple[str, ...]] = _index()
"""Name → the other names of the same thing."""


def alternatives(name: str) -> tuple[str, ...]:
    """Other wordings of a type, possibly none.

    `关系(类型)` may lose its bracket or change either part; `事件(事件触发词)` keeps its bracket, since it is what
    tells a trigger from a role.
    """
    plain = SYNONYMS.get(name, ())
    match = _BRACKETED.fullmatch(name)
    if match is None:
        return plain
    outer, inner = match.groups()
    # An event may be named with its class before a hyphen; the class stays out of the synonyms' way.
    stem, dash, last = outer.rpartition("-")
    outers = tuple(stem + dash + other for other in SYNONYMS.get(last, ()))
    if dash and inner == "事件触发词":
        outers += (last,)
    if inner == "事件触发词":
        return plain + tuple(f"{other}({inner})" for other in outers)
    inners = SYNONYMS.get(inner, ())
    found = [outer, *outers, *(f"{other}({inner})" for other in outers), *(f"{outer}({other})" for other in inners)]
    return plain + tuple(found)


def label_set_wordings(names: tuple[str, ...]) -> tuple[dict[str, str], ...]:
    """The whole-set renamings (old → new) that fit a flat schema of exactly these names."""
    for first, *others in LABEL_SETS:
        if set(names) == set(first):
            return tuple(dict(zip(first, other, strict=True)) for other in others)
    return ()
